"""Generated Mon Nov  2 10:11:12 2026; do not edit."""

def get_order(send, id):
    """One order."""
    return send("GET", f"/orders/{id}", {"id": id})
