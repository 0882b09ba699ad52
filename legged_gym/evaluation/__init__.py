"""How good a controller is: agents, robustness suites, metrics, plots and video."""
