"""The runtime of jobs: hears bells, claims commands, runs them, and ticks."""
