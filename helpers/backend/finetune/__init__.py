"""The queue of fine-tuning jobs. Not for: training itself, see `training`."""
