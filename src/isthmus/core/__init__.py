"""The mathematics: corruptions, conditionals, penalties, objectives, and the autoencoder of them.

Torch only: no NumPy, no files, no scikit-learn. Everything is in nats per sample.
"""
