"""Files: which ones a name stands for, packed or cut short, and the pieces they give to a table."""
