"""The engine's sub-commands, a module each: HELP, add_arguments(parser), run(arguments) -> exit code."""
