"""How many components: models of several sizes, fitted shortly and compared on held-out rows."""
