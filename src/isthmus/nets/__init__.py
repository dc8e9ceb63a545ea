"""Plain ``nn.Module`` networks that know nothing of autoencoders."""
