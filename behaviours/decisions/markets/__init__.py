"""Market mechanisms beside community pricing: prices from totals, and double auctions."""
