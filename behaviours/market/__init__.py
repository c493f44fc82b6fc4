"""What agents do in the markets: bring data, clear and settle, open markets, bid outside."""
