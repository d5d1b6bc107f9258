from sapwood.lang.library.math_f32 import *
