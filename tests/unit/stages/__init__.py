"""Do the five example stages do what their reports say they did?"""
