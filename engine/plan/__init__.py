"""Compiled plans: a model described once, differentiated once, run from preallocated memory."""

from engine.plan.builder import PlanBuilder, PlanValue
from engine.plan.plan import Plan
from engine.plan.program import NamedStep

__all__ = ["NamedStep", "Plan", "PlanBuilder", "PlanValue"]
