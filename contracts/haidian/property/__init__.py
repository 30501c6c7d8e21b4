"""不动产登记: the register, registration cases, and what court, tax and mortgagees record."""
