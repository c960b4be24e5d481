from nas.errors import InputError
def find_program(home): raise InputError("x")
def open_adb(d, p): raise InputError("x")
