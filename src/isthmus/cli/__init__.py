"""The command line: one file a verb; :mod:`isthmus.cli.main` only dispatches.

A verb is a function of its arguments that returns an :class:`~isthmus.cli._answer.Answer`; it
prints nothing but the progress bar. Modules here import nothing heavy at their top: what a verb
needs (torch, scikit-learn, NumPy) is imported when it is called, so that ``--help`` is quick.
"""
