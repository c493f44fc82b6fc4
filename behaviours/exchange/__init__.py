"""Trade with participants outside: each is an agent inside, which brings documents out and back."""
