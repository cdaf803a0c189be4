"""Runs the program that is given as an argument."""
import sys

exec(sys.argv[1])
