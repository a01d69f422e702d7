"""Prints a software bill of materials of what is deployed: CycloneDX 1.5, as JSON.

    python3 infra/supply/sbom.py > sbom.json

It lists the crates that the six functions link for arm64, with their licences and the hashes of Cargo.lock, and the npm packages that the
pages of `api` ship, with the hashes of their lock files. Build tools and tests are not deployed, so they are not listed. The same
sources give the same bytes. Needs cargo and Python 3.10, and no package.
"""

import base64
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUNCTIONS = ("api", "consumer", "delivery", "drain", "ingest", "scheduler")
PAGES = ("functions/api/console/package-lock.json", "functions/api/reference/package-lock.json")
TARGET = "aarch64-unknown-linux-gnu"


def crates():
    """Returns the crates that the functions link, and what each depends on."""
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    packages = {one["id"]: one for one in metadata["packages"]}
    nodes = {one["id"]: one for one in metadata["resolve"]["nodes"]}
    is_linked = lambda dependency: any(kind["kind"] is None for kind in dependency["dep_kinds"])
    waiting = [id for id in metadata["workspace_members"] if packages[id]["name"] in FUNCTIONS]
    linked = {}
    while waiting:
        id = waiting.pop()
        if id not in linked:
            linked[id] = [dependency["pkg"] for dependency in nodes[id]["deps"] if is_linked(dependency)]
            waiting.extend(linked[id])
    return {id: packages[id] for id in linked}, linked


def checksums():
    """Returns the SHA-256 of each crate of the registry, from Cargo.lock."""
    lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    found = re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([^"]+)"', lock)
    return {(name, version): checksum for name, version, checksum in found}


def crate_component(package, hashes):
    """Returns the component of a crate."""
    name, version = package["name"], package["version"]
    component = {"type": "library", "bom-ref": f"pkg:cargo/{name}@{version}", "name": name, "version": version,
                 "purl": f"pkg:cargo/{name}@{version}", "licenses": [{"expression": package["license"].replace("/", " OR ")}]}
    if (name, version) in hashes:
        component["hashes"] = [{"alg": "SHA-256", "content": hashes[name, version]}]
    return component


def npm_components():
    """Returns the components that the pages ship."""
    for file in PAGES:
        packages = json.loads((ROOT / file).read_text(encoding="utf-8"))["packages"]
        for path, package in packages.items():
            if path and not package.get("dev") and not package.get("link"):
                name, version = path.rpartition("node_modules/")[2], package["version"]
                algorithm, _, digest = package["integrity"].partition("-")
                purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
                yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
                       "licenses": [{"expression": package["license"]}],
                       "hashes": [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}]}


def main():
    """Prints the bill of materials."""
    packages, linked = crates()
    hashes = checksums()
    reference = {id: f"pkg:cargo/{one['name']}@{one['version']}" for id, one in packages.items()}
    components = {one["bom-ref"]: one for one in [crate_component(one, hashes) for one in packages.values()]}
    components.update({one["bom-ref"]: one for one in npm_components()})
    dependencies = [{"ref": reference[id], "dependsOn": sorted({reference[one] for one in needs})} for id, needs in linked.items()]
    print(json.dumps({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "triggers", "name": "triggers",
                                   "version": next(one["version"] for one in packages.values() if one["name"] == "api")}},
        "components": [components[name] for name in sorted(components)],
        "dependencies": sorted(dependencies, key=lambda one: one["ref"]),
    }, indent=1))


if __name__ == "__main__":
    main()
