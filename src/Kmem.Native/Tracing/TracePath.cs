namespace Kmem.Native;

/// <summary>
/// The name of a trace: absolute, since the program may change its directory. <c>%p</c> in it is the number of the process. Names that
/// are taken are left alone: those without <c>%p</c> get the number behind them then, and whatever is taken still gets a count.
/// </summary>
internal unsafe struct TracePath
{
    private const int BytesMax = 4096;

    /// <summary>Room for the numbers behind a name.</summary>
    private const int TemplateBytesMax = BytesMax - 64;

    private const uint CountMax = 100;

    /// <summary>The file that is open, or was to be.</summary>
    public fixed byte Name[BytesMax];

    private fixed byte _template[BytesMax];
    private int _length;

    /// <summary>Takes the name as it was given; false where it is too long.</summary>
    public static bool Set(TracePath* path, byte* given)
    {
        int length = 0;
        if (*given != (byte)'/')
        {
            if (TraceLibc.getcwd(path->_template, TemplateBytesMax) == null)
            {
                return false;
            }

            while (path->_template[length] != 0)
            {
                length++;
            }

            path->_template[length++] = (byte)'/';
        }

        for (; *given != 0; given++)
        {
            if (length >= TemplateBytesMax)
            {
                return false;
            }

            path->_template[length++] = *given;
        }

        path->_template[length] = 0;
        return true;
    }

    /// <summary>Creates a file that was not there and returns its descriptor; -1 with <c>errno</c> where none can be made.</summary>
    public static int Create(TracePath* path, bool isFork)
    {
        bool isNumbered = MakeName(path);
        if (isFork && !isNumbered)
        {
            AddNumber(path, (uint)TraceLibc.getpid());
            isNumbered = true;
        }

        int file = TryCreate(path);
        if (file < 0 && Libc.Errno == TraceLibc.ErrorExists && !isNumbered)
        {
            AddNumber(path, (uint)TraceLibc.getpid());
            file = TryCreate(path);
        }

        int start = path->_length;
        for (uint count = 2; file < 0 && Libc.Errno == TraceLibc.ErrorExists && count <= CountMax; count++)
        {
            path->_length = start;
            AddNumber(path, count);
            file = TryCreate(path);
        }

        return file;
    }

    private static int TryCreate(TracePath* path) =>
        TraceLibc.open(path->Name, TraceLibc.ReadWrite | TraceLibc.Create | TraceLibc.Exclusive | TraceLibc.CloseOnExec, TraceLibc.OwnerOnly);

    /// <summary>The name without anything behind it; true where the number of the process is in it.</summary>
    private static bool MakeName(TracePath* path)
    {
        bool isNumbered = false;
        path->_length = 0;
        for (byte* from = path->_template; *from != 0; from++)
        {
            if (*from == (byte)'%' && from[1] == (byte)'p')
            {
                isNumbered = true;
                from++;
                AddDigits(path, (uint)TraceLibc.getpid());
                continue;
            }

            Add(path, *from);
        }

        Terminate(path);
        return isNumbered;
    }

    private static void AddNumber(TracePath* path, uint number)
    {
        Add(path, (byte)'.');
        AddDigits(path, number);
        Terminate(path);
    }

    private static void AddDigits(TracePath* path, uint number)
    {
        uint unit = 1;
        while (number / unit >= 10)
        {
            unit *= 10;
        }

        for (; unit != 0; unit /= 10)
        {
            Add(path, (byte)('0' + (number / unit % 10)));
        }
    }

    private static void Add(TracePath* path, byte value)
    {
        if (path->_length < BytesMax - 1)
        {
            path->Name[path->_length++] = value;
        }
    }

    private static void Terminate(TracePath* path) => path->Name[path->_length] = 0;
}
