"""The truth against which the nullability prover is measured: cases with witnesses, random rows, random queries."""
