# conan create packaging/conan
import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load
from conan.tools.layout import basic_layout
from conan.tools.scm import Version

MODULES = os.path.join("lib", "cmake", "blocq")
OLDEST = {"gcc": "12", "clang": "14"}  # that are tested


class BlocqConan(ConanFile):
    name = "blocq"
    description = "Block-quantized number formats: OCP MX, NVFP4 and every GGUF type, header-only"
    license = "MIT"
    url = homepage = "https://github.com/blocq/blocq"
    topics = ("quantization", "gguf", "microscaling", "simd", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"with_xsimd": [True, False]}
    default_options = {"with_xsimd": True}
    no_copy_source = True

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        header = load(self, os.path.join(self._root, "include", "blocq", "version.hpp"))
        self.version = ".".join(re.findall(r"BLOCQ_VERSION_\w+ (\d+)", header))

    def export_sources(self):
        copy(self, "LICENSE", self._root, self.export_sources_folder)
        copy(self, "include/*.hpp", self._root, self.export_sources_folder)
        copy(self, "cmake/BlocqKernels.cmake", self._root, self.export_sources_folder)

    def layout(self):
        basic_layout(self)

    def requirements(self):
        # Any xsimd from 8.1 on; the headers adapt to it, so a consumer's own choice wins.
        if self.options.with_xsimd:
            self.requires("xsimd/[>=8.1 <15]", transitive_headers=True)

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)
        compiler, version = str(self.settings.compiler), Version(self.settings.compiler.version)
        if compiler == "msvc":
            raise ConanInvalidConfiguration("blocq is not for cl.exe; clang-cl is compiler=clang")
        if compiler in OLDEST and version < OLDEST[compiler]:
            raise ConanInvalidConfiguration(f"blocq needs {compiler} {OLDEST[compiler]} or later, not {version}")

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))
        copy(self, "BlocqKernels.cmake", os.path.join(self.source_folder, "cmake"), os.path.join(self.package_folder, MODULES))

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "blocq")
        self.cpp_info.set_property("cmake_target_name", "blocq::blocq")
        self.cpp_info.set_property("pkg_config_name", "blocq")
        self.cpp_info.builddirs = [MODULES]
        self.cpp_info.set_property("cmake_build_modules", [os.path.join(MODULES, "BlocqKernels.cmake")])
