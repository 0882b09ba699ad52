"""MuJoCo Warp on an NVIDIA GPU behind the seam: the simulator, its kernels, its height field and its CUDA graphs."""
