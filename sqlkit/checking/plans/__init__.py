"""How PostgreSQL would run each variant: large tables read from end to end, and plans that have changed."""

from sqlkit.checking.plans.comparing import check_plans, update_plans
from sqlkit.checking.plans.explaining import Plan, Scan, explain

__all__ = ["Plan", "Scan", "check_plans", "explain", "update_plans"]
