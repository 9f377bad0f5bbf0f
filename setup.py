"""Put ``configs/`` into the wheel as ``repro/configs``; all else stands in pyproject.toml."""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copy the packages and, unless the installation is editable, the shipped configurations."""

    def run(self):
        super().run()
        if not self.editable_mode:
            self.copy_tree("configs", f"{self.build_lib}/repro/configs")


setup(cmdclass={"build_py": BuildWithConfigs})
