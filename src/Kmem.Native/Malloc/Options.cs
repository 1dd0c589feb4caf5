namespace Kmem.Native;

/// <summary>
/// What the environment asks for. A program that runs with more rights than its user's is not told anything: <c>secure_getenv</c>.
/// </summary>
internal static unsafe class Options
{
    /// <summary><c>KMEM_FRONT_END=lock</c>: as on a machine without restartable sequences.</summary>
    public static bool WantsTryLock()
    {
        fixed (byte* name = "KMEM_FRONT_END"u8)
        fixed (byte* wanted = "lock"u8)
        {
            return AreEqual(Libc.secure_getenv(name), wanted);
        }
    }

    /// <summary><c>KMEM_STATS=1</c>: the caches when the program ends, on standard error; any other value is the path of a file that they are added to.</summary>
    public static byte* StatisticsPath(out bool isStandardError)
    {
        fixed (byte* name = "KMEM_STATS"u8)
        fixed (byte* one = "1"u8)
        fixed (byte* zero = "0"u8)
        {
            byte* value = Libc.secure_getenv(name);
            isStandardError = AreEqual(value, one);
            return value == null || *value == 0 || isStandardError || AreEqual(value, zero) ? null : value;
        }
    }

    /// <summary><c>KMEM_DEBUG=FZP,kmalloc-*</c>: what is checked in which caches. Null where it is not set.</summary>
    public static byte* Debug()
    {
        fixed (byte* name = "KMEM_DEBUG"u8)
        {
            return Libc.secure_getenv(name);
        }
    }

    /// <summary><c>KMEM_GUARD=100</c>: milliseconds between two guarded allocations; 0 where it is not set, −1 where it is no number.</summary>
    public static long GuardIntervalMilliseconds()
    {
        fixed (byte* name = "KMEM_GUARD"u8)
        {
            byte* value = Libc.secure_getenv(name);
            long number = 0;
            for (; value != null && *value != 0; value++)
            {
                if (*value < '0' || *value > '9' || number > int.MaxValue / 10)
                {
                    return -1;
                }

                number = (number * 10) + *value - '0';
            }

            return number;
        }
    }

    /// <summary><c>KMEM_TRACE=FILE</c>: every allocation is recorded. Null where it is not set.</summary>
    public static byte* TracePath()
    {
        fixed (byte* name = "KMEM_TRACE"u8)
        {
            return Libc.secure_getenv(name);
        }
    }

    private static bool AreEqual(byte* text, byte* other)
    {
        if (text == null)
        {
            return false;
        }

        while (*text != 0 && *text == *other)
        {
            text++;
            other++;
        }

        return *text == *other;
    }
}
