"""Analysis: data analyses and generated tools, behind microservices."""
