"""The texts of the mails: a subject on the first line, then the body. `$name` stands for a value."""
