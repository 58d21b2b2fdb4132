"""Parts of scripts/ascend_dry_run.py: stand-ins for CANN, the graphs, their compilation, and its results."""
