from settings import load


def test_later_layers_win(tmp_path):
    low, high = tmp_path / "low", tmp_path / "high"
    low.write_text("name = a\n[db]\nhost = one\nport = 1\n")
    high.write_text("[db]\nhost = two\n")
    settings = load([low, high], {"APP_DB__PORT": "9"})
    assert settings.as_dict() == {"name": "a", "db.host": "two", "db.port": "9"}
