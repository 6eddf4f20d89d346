from resolver.versions import BadVersion, parse


def fits(version, constraint):
    """Whether a version (text) fits a constraint (text)."""
    if constraint.startswith("=="):
        return parse(version) == parse(constraint[2:])
    raise BadVersion(constraint)
