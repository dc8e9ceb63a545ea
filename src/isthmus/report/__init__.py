"""Arrays and figures → one self-contained HTML file: no network, no script, no font to fetch."""
