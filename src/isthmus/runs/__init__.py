"""The run directory: what a fit leaves on disk. JSON and safetensors, nothing that can run code."""
