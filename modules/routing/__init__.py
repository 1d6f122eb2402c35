"""Routers: families whose output weights the modules of a step; one file each."""
