"""How sure one can be: arrays in, figures out. Knows nothing of frames, models or money."""
