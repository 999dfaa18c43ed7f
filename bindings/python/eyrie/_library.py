"""Where the shared libraries lie."""
import os
from pathlib import Path


def find(name: str, variable: str) -> Path:
    """The library that $`variable` names, beside this file, or in the checkout's build. Raises ImportError."""
    here = Path(__file__).resolve().parent
    places = [here / name, here.parents[2] / "build/release/lib" / name]
    if os.environ.get(variable):
        places = [Path(os.environ[variable])]
    for place in places:
        if place.is_file():
            return place
    raise ImportError(f"no {name} at {' or '.join(map(str, places))}; build it (tools/dev/build.sh release) or set "
                      f"{variable} to its path")
