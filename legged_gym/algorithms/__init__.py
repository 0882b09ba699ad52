"""PPO with a velocity estimator and imitation of a reference, on top of rsl_rl."""
