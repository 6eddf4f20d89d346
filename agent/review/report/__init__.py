"""The whole campaign as one HTML file."""
