"""Who is asking? Thin commands over the other rooms."""
