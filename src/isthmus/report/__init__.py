"""Arrays and figures → one self-contained HTML file: no network, nothing to fetch."""
