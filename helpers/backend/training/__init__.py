"""Fine-tuning with LoRA: no HTTP in here, only files and tensors."""
