//! JSON, as much as ivtd writes.

pub enum Json {
    Null,
    Bool,
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Option<Json> {
        value(&mut text.trim_start(), 0)
    }

    /// The member of an object, Null if there is none.
    pub fn get(&self, name: &str) -> &Json {
        match self {
            Json::Object(members) => members.iter().find(|m| m.0 == name).map_or(&Json::Null, |m| &m.1),
            _ => &Json::Null,
        }
    }

    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(list) => list,
            _ => &[],
        }
    }

    pub fn at(&self, i: usize) -> &Json {
        self.list().get(i).unwrap_or(&Json::Null)
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Json::Number(n) => Some(*n),
            _ => None,
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Json::Text(t) => t,
            _ => "",
        }
    }
}

/// A string as JSON has it.
pub fn quoted(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' | '\0'..='\x1f' => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

/// Takes a prefix away, and the space behind it.
fn eat(s: &mut &str, prefix: &str) -> Option<()> {
    *s = s.strip_prefix(prefix)?.trim_start();
    Some(())
}

fn value(s: &mut &str, depth: usize) -> Option<Json> {
    match s.chars().next()? {
        _ if depth > 32 => None,
        '"' => string(s).map(Json::Text),
        '[' => {
            let mut list = Vec::new();
            let mut more = eat(s, "[").is_some() && eat(s, "]").is_none();
            while more {
                list.push(value(s, depth + 1)?);
                more = eat(s, ",").is_some();
                if !more {
                    eat(s, "]")?;
                }
            }
            Some(Json::List(list))
        }
        '{' => {
            let mut members = Vec::new();
            let mut more = eat(s, "{").is_some() && eat(s, "}").is_none();
            while more {
                let name = string(s)?;
                eat(s, ":")?;
                members.push((name, value(s, depth + 1)?));
                more = eat(s, ",").is_some();
                if !more {
                    eat(s, "}")?;
                }
            }
            Some(Json::Object(members))
        }
        _ => {
            let end = s.find(|c: char| ",]} \t\r\n".contains(c)).unwrap_or(s.len());
            let (word, rest) = s.split_at(end);
            *s = rest.trim_start();
            match word {
                "null" => Some(Json::Null),
                "true" | "false" => Some(Json::Bool),
                _ => word.parse().ok().map(Json::Number),
            }
        }
    }
}

fn string(s: &mut &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = s.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => match chars.next()? {
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    text.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?).unwrap_or('?'));
                }
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'b' | 'f' => text.push('?'),
                c => text.push(c),
            },
            c => text.push(c),
        }
    }
    *s = chars.as_str().trim_start();
    Some(text)
}
