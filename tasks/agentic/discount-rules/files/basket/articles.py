PRICES = {"tea": 450, "cup": 899, "pot": 3100, "sieve": 333}
THREE_FOR_TWO = {"tea", "sieve"}
