PERCENT = {"SPRING10": 10, "FRIEND25": 25, "STAFF40": 40}


class UnknownVoucher(ValueError):
    """There is no voucher with this code."""


def percent(code):
    if code not in PERCENT:
        raise UnknownVoucher(code)
    return PERCENT[code]
