"""The TFX pipeline of AD-DRL: data sets, components, configuration and command line."""
