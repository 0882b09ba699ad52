"""Evaluation of controllers: agents, robustness suites, metrics, plots and video."""
