"""Claims with figures: each module prints one table and writes it to benchmarks/results/."""
