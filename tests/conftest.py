"""How Hypothesis runs: no example fails because the machine was busy with something else."""

from hypothesis import HealthCheck, settings

settings.register_profile("pasar", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pasar")
