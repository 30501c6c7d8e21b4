"""用电过户: electricity accounts, and how they follow a property to its new owner."""
