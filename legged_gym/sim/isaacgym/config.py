"""Options of Isaac Gym alone, with legged_gym's field names."""

from dataclasses import dataclass

from legged_gym.utils.config import Config, bounded


@dataclass
class IsaacGymCfg(Config):
    """PhysX, as Isaac Gym runs it."""

    substeps: int = bounded(1, ge=1)
    """Steps of PhysX per physics step."""
    solver_type: int = bounded(1, choices=(0, 1))
    """0 projected Gauss-Seidel, 1 temporal Gauss-Seidel."""
    num_position_iterations: int = bounded(4, ge=1)
    """Iterations of the solver on positions."""
    num_velocity_iterations: int = bounded(0, ge=0)
    """Iterations of the solver on velocities."""
    contact_offset: float = bounded(0.01, gt=0)
    """Distance below which PhysX looks for contacts [m]."""
    rest_offset: float = 0.0
    """Distance at which shapes come to rest [m]."""
    bounce_threshold_velocity: float = bounded(0.5, gt=0)
    """Slower contacts do not bounce [m/s]."""
    max_depenetration_velocity: float = bounded(1.0, gt=0)
    """Limit of the velocity at which shapes are pushed apart [m/s]."""
    max_gpu_contact_pairs: int = bounded(2**23, ge=2**10)
    """Room for contacts on the GPU."""
    default_buffer_size_multiplier: float = bounded(5.0, gt=0)
    """Factor on the GPU's other buffers."""
    restitution: float = bounded(0.0, ge=0, le=1)
    """Restitution between robot and ground."""
    friction_combine: str = bounded("average", choices=("average", "multiply"))
    """How PhysX combines two friction coefficients; those of ground and robot are set to give the asked one."""
    foot_force_sensors: bool = False
    """Let the feet measure their forces everywhere, and not only on the GPU's triangle meshes, where Isaac Gym's net
    contact forces are unreliable."""
    env_spacing: float = bounded(4.0, ge=0)
    """Distance of the robots' starting points on the plane [m]; robots never touch, but too many in one place are slow.
    On a terrain all robots share the world."""
