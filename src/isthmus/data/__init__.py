"""Where rows come from and go to; knows no model."""
