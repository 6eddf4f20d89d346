from geo import Point, Track, bounding_box, midpoint


def test_one_degree_is_about_111_km():
    assert abs(Point(0, 0).distance(Point(0, 1)) - 111.19) < 0.01


def test_length():
    assert abs(Track([(0, 0), (0, 1), (1, 1)]).length() - 222.39) < 0.01


def test_box_and_midpoint():
    assert bounding_box(Track([(0, 5), (2, 1)])) == (Point(0, 1), Point(2, 5))
    assert midpoint(Point(0, 0), Point(2, 4)) == Point(1, 2)
