"""The engine, broken on purpose: would anybody notice?"""
